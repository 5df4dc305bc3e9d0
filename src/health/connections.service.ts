import { Injectable } from '@nestjs/common';
import type { FastifyInstance } from 'fastify';
import { Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { primary } from '../common/ipc';

/** A quiet connection is left open so long after the end was announced: a request may be on its way, and should find somebody who answers it. */
const LINGER_MS = 500;
const LOOK_MS = 20;

/** The connections of the server: no more than it may have, and at its end none is cut off within a request. */
@Injectable()
export class ConnectionsService {
  /** How many requests run on each. */
  private readonly open = new Map<Socket, number>();
  private ending = false;

  /** Whether the server ends: then each answer says that it is the last one of its connection, and readiness is over. */
  get isEnding(): boolean {
    return this.ending;
  }

  /** How many there are, and how many requests run on them. */
  get load(): { readonly connections: number; readonly requests: number } {
    let requests = 0;
    for (const running of this.open.values()) requests += running;
    return { connections: this.open.size, requests };
  }

  /** Counts what happens on a server. More than `most` connections at once are closed unread. */
  watch(fastify: FastifyInstance, most: number): void {
    // In a cluster Node hands a connection beyond its own limit to the next process, and when all are full, round and round: there we close it.
    if (!primary) fastify.server.maxConnections = most;
    fastify.server.on('connection', (socket: Socket) => {
      if (primary && this.open.size >= most) socket.destroy();
      else this.add(socket);
    });
    fastify.addHook('onRequest', ({ raw: { socket } }, reply, done) => {
      if (!this.open.has(socket)) this.add(socket); // of another address of this machine that the server listens on
      this.count(socket, 1);
      reply.raw.once('close', () => this.count(socket, -1));
      done();
    });
  }

  announceEnd(): void {
    this.ending = true;
  }

  /** Takes no more connections and resolves when those that are there have ended: true, or false when some still work after so many ms. */
  async end({ server }: FastifyInstance, withinMs: number): Promise<boolean> {
    // Of `node:net`: that of `node:http` would also close quiet connections now.
    Server.prototype.close.call(server);
    const start = performance.now();
    for (let passed = 0; this.open.size > 0; passed = performance.now() - start) {
      if (passed > withinMs) return false;
      for (const [socket, running] of this.open) if (running === 0 && passed > LINGER_MS) socket.destroy();
      await sleep(LOOK_MS);
    }
    return true;
  }

  private add(socket: Socket): void {
    this.open.set(socket, 0);
    socket.once('close', () => this.open.delete(socket));
  }

  private count(socket: Socket, change: 1 | -1): void {
    const running = this.open.get(socket);
    if (running !== undefined) this.open.set(socket, running + change);
  }
}
