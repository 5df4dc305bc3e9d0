import 'reflect-metadata';

// Tests configure the server through `readConfig` with their own settings; the machine's environment must not leak in.
for (const name of ['DATA_DIR', 'KEYS_DIR', 'LOG_DIR', 'SQLITE_PATH', 'NODE_ENV']) delete process.env[name];
