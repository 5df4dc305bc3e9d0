/**
 * The second yardstick (P4): bare Fastify with one authenticated route that answers from the claims. No Nest, no guard chain, no helmet, no log line.
 */
import fastify from 'fastify';
import { tokens } from './es256.mjs';

const { issue, actorOf } = tokens();
const app = fastify({ logger: false });
app.addHook('onRequest', (request, reply, done) => {
  request.actor = actorOf(request.headers.authorization);
  if (request.actor) done();
  else reply.code(401).send({ code: 'unauthenticated' });
});
app.get('/trivial', (request) => ({ id: request.actor.sub, role: request.actor.role }));
process.send?.({ url: await app.listen({ port: 0, host: '127.0.0.1' }), token: issue() });
process.on('SIGTERM', () => process.exit(0));
process.on('disconnect', () => process.exit(0));
