import { setTimeout as sleep } from 'node:timers/promises';
import {
  NullTransport,
  OutboxRelay,
  RequestMediator,
  type Message,
  type PublishResult,
} from '@cqrs-outbox/core';
import { MikroORM } from '@mikro-orm/core';
import type { INestApplicationContext } from '@nestjs/common';
import { fill } from '../app/backlog.ts';
import { startApp } from '../app/start-app.ts';
import type { Measurement } from '../cli/measurement.ts';
import { AddBook, commandHandlers } from '../command/commands.ts';
import { createShelves, SHELVES, shelfSchema } from '../command/shelf.ts';
import type { DatabaseContext } from '../servers/bench-context.ts';
import { createOutboxDatabase } from '../servers/create-outbox-database.ts';
import type { OutboxDatabase } from '../servers/outbox-database.ts';
import { StatementCounter } from '../servers/statement-counter.ts';

const COMMANDS = 20;
const BACKLOG = 20_000;
const IDLE_MS = 10_000;

/** Takes what it is given at once, and counts the batches. */
class BatchCounter extends NullTransport {
  batches = 0;

  override publish(messages: readonly Message[]): Promise<PublishResult[]> {
    this.batches += 1;
    return super.publish(messages);
  }
}

/** How many statements reach the driver: for each command, for each batch of the relay, and when there is nothing to do. */
export async function measureStatements(context: DatabaseContext): Promise<Measurement[]> {
  const database = await createOutboxDatabase(context.database);
  const { name } = context.database;
  const lines: Measurement[] = [];
  try {
    context.progress('commands');
    for (const [events, statements] of await ofCommands(database))
      lines.push(
        line(`statements of a command, ${events} event${events === 1 ? '' : 's'}, ${name}`, statements),
      );
    context.progress('batches, idle');
    const { perBatch, perSecond } = await ofRelay(database);
    lines.push(line(`statements of a relayed batch, ${name}`, perBatch));
    lines.push({ work: `idle relay, ${name}`, unit: 'statements/s', values: [perSecond] });
  } finally {
    await database.drop();
  }
  return lines;
}

/** By how many events a command appends. */
async function ofCommands({ ormOptions }: OutboxDatabase): Promise<Map<number, number>> {
  const app = await startApp({
    ormOptions,
    transport: new NullTransport(),
    options: { relay: false },
    providers: commandHandlers,
    entities: [shelfSchema],
  });
  try {
    await createShelves(app);
    const counter = await StatementCounter.attach(app.get(MikroORM));
    const statements = new Map<number, number>();
    for (const events of [0, 1, 10]) {
      await sendCommands(app, events);
      statements.set(events, counter.take().length / COMMANDS);
    }
    return statements;
  } finally {
    await app.close();
  }
}

async function sendCommands(app: INestApplicationContext, events: number): Promise<void> {
  const mediator = app.get(RequestMediator);
  for (let sent = 0; sent < COMMANDS; sent += 1)
    await mediator.send(AddBook.of({ shelfId: sent % SHELVES, events }));
}

/** With default settings and one destination; idle is what follows when all is published. */
async function ofRelay(database: OutboxDatabase): Promise<{ perBatch: number; perSecond: number }> {
  const transport = new BatchCounter();
  await database.clear();
  const app = await startApp({ ormOptions: database.ormOptions, transport });
  try {
    const relay = app.get(OutboxRelay);
    await relay.runOnce();
    const counter = await StatementCounter.attach(app.get(MikroORM));
    await fill(database, BACKLOG, 'bench');
    transport.batches = 0;
    counter.take();
    await relay.runOnce();
    const perBatch = counter.take().length / transport.batches;
    const left = await database.count();
    if (left > 0) throw new Error(`The run is not valid: ${left} entries are left.`);
    await sleep(IDLE_MS / 10);
    counter.take();
    await sleep(IDLE_MS);
    return { perBatch, perSecond: counter.take().length / (IDLE_MS / 1000) };
  } finally {
    await app.close();
  }
}

function line(work: string, statements: number): Measurement {
  return { work, unit: 'statements', values: [statements] };
}
