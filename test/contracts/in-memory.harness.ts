import { AggregateRoot, type AnyEvent } from '@cqrs-outbox/core';
import {
  InMemoryArchiveStore,
  InMemoryDeadLetterStore,
  InMemoryInboxStore,
  InMemoryLeaseStore,
  InMemoryOutboxStore,
  InMemoryStatusStore,
  InMemoryStore,
  InMemoryUnitOfWork,
  type SampleAggregate,
  type StoreFixture,
  type StoreHarness,
} from '@cqrs-outbox/testing';
import { Test } from '@nestjs/testing';

/** `InMemoryStore`, and a repository in memory as a user's test may have it. */
export const inMemoryHarness: StoreHarness = {
  can: { openTransactionsAtOnce: true, lockRows: false },
  open: openFixture,
};

async function openFixture(): Promise<StoreFixture> {
  // Not a TestClock: the suites set the clock back too.
  let now = Date.UTC(2030, 0, 1);
  const module = await Test.createTestingModule({
    imports: [InMemoryStore.withClock({ now: () => now })],
  }).compile();
  const unitOfWork = module.get(InMemoryUnitOfWork);
  const outbox = module.get(InMemoryOutboxStore);
  const leases = module.get(InMemoryLeaseStore);
  const inbox = module.get(InMemoryInboxStore);
  const samples = new InMemorySamples(unitOfWork);
  return {
    unitOfWork,
    outbox,
    leases,
    deadLetters: module.get(InMemoryDeadLetterStore),
    archive: module.get(InMemoryArchiveStore),
    status: module.get(InMemoryStatusStore),
    inbox,
    now: async () => now,
    passTime: async (ms) => void (now += ms),
    deleteSlot: async (slot) => leases.deleteSlot(slot),
    damage: async (messageId, destination) => outbox.damage(messageId, destination),
    savepoint: (work) => unitOfWork.savepoint(work),
    create: async (id) => samples.create(id),
    load: async (id) => samples.load(id),
    increment: async (id) => samples.increment(id),
    rejected: async () => inbox.rejected(),
    close: () => module.close(),
  };
}

class InMemorySamples {
  readonly #values = new Map<string, number>();

  constructor(private readonly unitOfWork: InMemoryUnitOfWork) {}

  create(id: string): SampleAggregate {
    this.write(id, 0);
    return this.unitOfWork.register(new InMemorySample(id, this));
  }

  load(id: string): SampleAggregate | undefined {
    if (!this.#values.has(id)) return undefined;
    const sample = new InMemorySample(id, this);
    return this.unitOfWork.current() ? this.unitOfWork.register(sample) : sample;
  }

  increment(id: string): number {
    const value = this.read(id) + 1;
    this.write(id, value);
    return value;
  }

  read(id: string): number {
    return this.#values.get(id) ?? 0;
  }

  write(id: string, value: number): void {
    const before = this.#values.get(id);
    this.#values.set(id, value);
    this.unitOfWork.onRollback(() => {
      if (before === undefined) this.#values.delete(id);
      else this.#values.set(id, before);
    });
  }
}

class InMemorySample extends AggregateRoot {
  readonly #samples: InMemorySamples;

  constructor(
    readonly id: string,
    samples: InMemorySamples,
  ) {
    super();
    this.#samples = samples;
  }

  get value(): number {
    return this.#samples.read(this.id);
  }

  set value(value: number) {
    this.#samples.write(this.id, value);
  }

  happen(event: AnyEvent): void {
    this.record(event);
  }
}
