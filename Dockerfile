# Builds with the development tools, runs without them. No compiler is needed: better-sqlite3 brings its binary for Node 24,
# and --ignore-scripts keeps every install script of a dependency from running.
FROM node:24-bookworm-slim AS build
WORKDIR /app
ENV DO_NOT_TRACK=1
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY nest-cli.json tsconfig.json tsconfig.build.json ormconfig.ts ./
COPY src ./src
RUN npm run build
# Optional packages stay: argon2's binary is one. Only the SQLite driver for Node 20 goes.
RUN npm ci --omit=dev --ignore-scripts && rm -rf node_modules/better-sqlite3-node20

FROM node:24-bookworm-slim
ENV NODE_ENV=production \
    HOST=0.0.0.0 \
    PORT=3000 \
    DATA_DIR=/data \
    LOG_CONSOLE=true
WORKDIR /app
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json LICENSE ./
# The application belongs to root, so that the server cannot change its own code; it writes in /data only.
RUN install -d -o 1000 -g 1000 -m 700 /data
VOLUME /data
USER 1000:1000
EXPOSE 3000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["node", "-e", "fetch('http://127.0.0.1:' + process.env.PORT + '/health/ready').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/src/main.js"]
