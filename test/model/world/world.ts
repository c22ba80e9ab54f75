import {
  InMemoryDatabase,
  InMemoryDeadLetterStore,
  InMemoryLeaseStore,
  InMemoryOutboxStore,
} from '@cqrs-outbox/testing';
import { slotOf, type Message, type PublishResult } from '@cqrs-outbox/core';
import { publishInLanes } from '../relay-internals.ts';
import { Broker } from './broker.ts';
import { entryOf, EPOCH } from './entry.ts';
import { Invariants, type Appended } from './invariants.ts';
import {
  ModelledLeaseStore,
  ModelledOutboxStore,
  ModelledTransport,
  type Ask,
  type ObserveWrite,
} from './modelled-ports.ts';
import { Operation, type OperationKind } from './operation.ts';
import { RelayProcess } from './relay-process.ts';
import type { Append, Operating, Parts, Scenario } from './scenario.ts';
import { RESTART_MS } from './settings.ts';

const PARTS: Parts = {
  leaseStore: (database) => new InMemoryLeaseStore(database),
  outboxStore: (database) => new InMemoryOutboxStore(database),
  publish: publishInLanes,
  clockRate: 1,
};

/** A slot is the number of slots times this, and its own number. */
const MAX_SLOT_COUNT = 256;

/** All that there is in a run: the tables, the broker, the processes, and what they wait for. */
export class World {
  time = 0;
  databaseOffset = 0;
  readonly database = new InMemoryDatabase({ now: () => EPOCH + this.time + this.databaseOffset });
  readonly broker = new Broker();
  readonly processes: RelayProcess[] = [];
  readonly appended: Appended[] = [];
  readonly excuses = { hasFault: false, hasLostEarly: false };
  readonly invariants: Invariants;
  /** Those that are not over. */
  readonly operations = new Set<Operation>();
  /** Whose code runs at this moment. */
  running: RelayProcess | undefined;
  /** When something was last done to the processes or their environment. */
  disturbedAt = 0;
  readonly #parts: Parts;
  #sequence = 0;

  constructor(readonly scenario: Scenario) {
    this.#parts = { ...PARTS, ...scenario.parts };
    this.invariants = new Invariants({ ...this.observed(), maxAttempts: scenario.maxAttempts });
    for (const operating of scenario.operating)
      this.plan(operating.at, textOf(operating), () => this.operate(operating));
    scenario.appends.forEach((append, index) => {
      const id = `${append.key}${scenario.appends.slice(0, index + 1).filter(({ key }) => key === append.key).length}`;
      this.plan(append.at, `append ${id}`, () => this.append(id, append));
    });
  }

  get sequence(): number {
    return ++this.#sequence;
  }

  /** Lets a process run until it waits for something. Its microtasks must be over before another one runs. */
  run(process: RelayProcess, work: () => void): void {
    this.running = process;
    work();
  }

  /** Has something done by the environment, at a time. */
  plan(at: number, name: string, effect: () => void): void {
    const operation = new Operation('environment', name, this.sequence, undefined, async () => effect());
    operation.notBefore = at;
    this.operations.add(operation);
  }

  /** The slots that a process has by the table. */
  slotsOf({ instances }: RelayProcess): number[] {
    return [...this.database.slots].flatMap(([slot, { owner }]) =>
      owner !== undefined && instances.has(owner) ? [slot] : [],
    );
  }

  crash(process: RelayProcess): void {
    process.state = 'dead';
    process.timers.clear();
    if (!this.scenario.restarts) return;
    const { slotCount, isGuest } = process;
    const start = (): void => this.startProcess(slotCount, { isGuest });
    this.plan(this.time + RESTART_MS, `start in place of ${process.name}`, start);
  }

  private operate({ what, process, id = '', slotCount = this.scenario.slotCount }: Operating): void {
    this.disturbedAt = this.time;
    if (what === 'start' || what === 'visit') {
      this.startProcess(slotCount, { isGuest: what === 'visit' });
      return;
    }
    if (what === 'requeue') {
      void new InMemoryDeadLetterStore(this.database).requeue({});
      return;
    }
    const target = process === undefined ? undefined : this.processes[process];
    if (!target || target.state === 'dead') return;
    if (what === 'delete the row of') {
      for (const instance of target.instances) this.database.instances.delete(instance);
      this.excuses.hasFault = this.excuses.hasLostEarly = true;
      return;
    }
    // One that is frozen does it when it runs again.
    target.setTimer(() => {
      if (what === 'publish one') target.publishOne(id);
      else void target.stop();
    }, 0);
  }

  private startProcess(slotCount: number, { isGuest }: { isGuest: boolean }): void {
    const name = String.fromCharCode('A'.charCodeAt(0) + this.processes.length);
    const process = new RelayProcess(name, {
      time: () => this.time,
      nextSequence: () => this.sequence,
      clockRate: this.#parts.clockRate,
      slotCount,
      isGuest,
      maxAttempts: this.scenario.maxAttempts,
      database: this.database,
      ports: (self) => this.portsOf(self),
    });
    this.processes.push(process);
    process.setTimer(() => process.start(), 0);
  }

  private portsOf(process: RelayProcess) {
    const { database, invariants } = this;
    const ask =
      (kind: OperationKind): Ask =>
      (name, effect) =>
        this.ask(process, kind, name, effect);
    const observe: ObserveWrite = (leases, write) => invariants.aroundWrite(process, leases, write);
    return {
      leases: new ModelledLeaseStore(this.#parts.leaseStore(database), ask('lease table')),
      outbox: new ModelledOutboxStore(this.#parts.outboxStore(database), ask('outbox table'), observe),
      transport: new ModelledTransport(this.#parts.publish, (message) => this.send(process, message)),
    };
  }

  private ask<T>(
    process: RelayProcess,
    kind: OperationKind,
    name: string,
    effect: () => Promise<T>,
  ): Promise<T> {
    const operation = new Operation(kind, name, this.sequence, process, effect);
    this.add(operation);
    return operation.answered() as Promise<T>;
  }

  private send(process: RelayProcess, message: Message): Promise<PublishResult> {
    this.invariants.onSend(process, message);
    const effect = async (): Promise<PublishResult> => this.arrive(message);
    const operation = new Operation('broker', `send ${message.id}`, this.sequence, process, effect, message);
    this.add(operation);
    return operation.answered() as Promise<PublishResult>;
  }

  private add(operation: Operation): void {
    operation.notBefore = this.time;
    this.operations.add(operation);
  }

  arrive(message: Message): PublishResult {
    const wasThere = this.broker.has(message.id);
    const result = this.broker.take(message);
    if (result.status === 'published') this.invariants.onArrival(message, wasThere);
    return result;
  }

  private append(id: string, { key, policy = 'continue', refusals = 0, dueAt }: Append): void {
    this.disturbedAt = Math.max(this.disturbedAt, dueAt ?? this.time);
    if (refusals > 0) this.broker.poison.set(id, refusals);
    const { slotCount } = this.scenario;
    const wireKey = keyFor(key, slotCount);
    const availableAt = dueAt === undefined ? undefined : new Date(EPOCH + dueAt);
    const entry = entryOf(id, wireKey, slotCount, policy, availableAt);
    this.database.insert([entry]);
    this.appended.push({ id, key: wireKey });
    if (dueAt === undefined) this.invariants.onCommit(id, wireKey);
    // The process that has appended it hears of it at once.
    const [first] = this.processes;
    if (first?.state === 'running' && !first.isStopping) first.setTimer(() => first.wake(entry.slot), 0);
  }

  private observed() {
    const { database, broker, processes, appended, excuses } = this;
    return { database, broker, processes, appended, excuses };
  }
}

function textOf({ what, process, id = '' }: Operating): string {
  return what === 'start' || what === 'visit'
    ? `a process comes (${what})`
    : `${process === undefined ? 'a person' : `process ${process}`}: ${what} ${id}`;
}

/** `x` is a key of the first slot, `y` another one, of the second slot where there are two. */
function keyFor(name: Append['key'], slotCount: number): string {
  const number = name === 'x' ? 0 : 1 % slotCount;
  for (let index = 0; ; index++) {
    const key = `${name}-${index}`;
    if (slotOf(key, slotCount) % MAX_SLOT_COUNT === number) return key;
  }
}
