import { NullTransport, RequestMediator } from '@cqrs-outbox/core';
import { slicedRates, type Slicing, type Way } from '../app/sliced-rates.ts';
import { startApp } from '../app/start-app.ts';
import type { Measurement } from '../cli/measurement.ts';
import type { DatabaseContext } from '../servers/bench-context.ts';
import { createOutboxDatabase } from '../servers/create-outbox-database.ts';
import { BareTransactions } from './bare-transactions.ts';
import { AddBook, AddBookByHand, commandHandlers } from './commands.ts';
import { createShelves, SHELVES, shelfSchema } from './shelf.ts';

const AT_A_TIME = 8;
const SLICINGS: readonly Slicing[] = [
  { calls: 25, slices: 12 },
  { calls: 50, slices: 12, atATime: AT_A_TIME },
];
const MANY = 10;
const MIN_RATIO = 0.85;
const MIN_RATIO_BY_HAND = 0.97;
const BARE = 'the same statements by the driver alone, without the INSERT';

/** What an event costs a command that loads a row and changes it; no relay runs meanwhile. */
export async function measureCommand(context: DatabaseContext): Promise<Measurement[]> {
  const database = await createOutboxDatabase(context.database);
  const app = await startApp({
    ormOptions: database.ormOptions,
    transport: new NullTransport(),
    options: { relay: false },
    providers: commandHandlers,
    entities: [shelfSchema],
  });
  const mediator = app.get(RequestMediator);
  const bare = BareTransactions.open(context.database, database.ormOptions.dbName!, AT_A_TIME);
  let sent = 0;
  const shelf = (): number => sent++ % SHELVES;
  const ways: Way[] = [
    () => mediator.send(AddBook.of({ shelfId: shelf(), events: 1 })),
    () => mediator.send(AddBook.of({ shelfId: shelf(), events: 0 })),
    () => mediator.send(AddBookByHand.of({ shelfId: shelf() })),
    () => mediator.send(AddBook.of({ shelfId: shelf(), events: MANY })),
    () => bare.run(shelf(), true),
    () => bare.run(shelf(), false),
  ];
  const measurements: Measurement[] = [];
  try {
    await createShelves(app);
    for (const slicing of SLICINGS) {
      const what = `${slicing.atATime ?? 1} at a time`;
      await database.settle();
      const rates = await slicedRates(ways, slicing, context.runs, (text) =>
        context.progress(`${what}, ${text}`),
      );
      measurements.push(...linesOf(`${what}, ${context.database.name}`, rates));
      const times = slicing.calls * slicing.slices * (context.runs + 1);
      checkRows(await database.count(), times * (MANY + 3));
      await database.clear();
    }
  } finally {
    await bare.close();
    await app.close();
    await database.drop();
  }
  return measurements;
}

function linesOf(where: string, [one, none, byHand, many, bareOne, bareNone]: number[][]): Measurement[] {
  const without = { what: 'the same command without an event', values: none! };
  const inserted = { what: 'the same command with an INSERT of the row by hand', values: byHand! };
  const line = (work: string, values: number[]) =>
    ({ work: `${work}, ${where}`, unit: 'tx/s', values }) as const;
  return [
    {
      ...line('command, 1 event', one!),
      floor: without,
      target: { kind: 'ratio at least', value: MIN_RATIO },
    },
    {
      ...line('command, 1 event', one!),
      floor: inserted,
      target: { kind: 'ratio at least', value: MIN_RATIO_BY_HAND },
    },
    { ...line(`command, ${MANY} events`, many!), floor: without },
    { ...line('the statements alone', bareOne!), floor: { what: BARE, values: bareNone! } },
  ];
}

function checkRows(rows: number, expected: number): void {
  if (rows !== expected) throw new Error(`The run is not valid: there are ${rows} rows, not ${expected}.`);
}
