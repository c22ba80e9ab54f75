import { Transport, type Message, type PublishOptions, type PublishResult } from '@cqrs-outbox/core';

/** Which messages fail. */
export interface FaultyMessages {
  /** Those of this key alone; all keys unless given. */
  readonly key?: string;
  /** Those of this event name alone; all names unless given. */
  readonly name?: string;
  /** How many publications fail, after which the fault is over; without it, until {@link RecordingTransport.recover}. */
  readonly times?: number;
}

/** Which messages are refused, and how. */
export interface RefusedMessages extends FaultyMessages {
  /** Another try can't help: the entry becomes a dead letter at once. */
  readonly permanent?: boolean;
}

interface Fault extends RefusedMessages {
  readonly kind: 'refuse' | 'be unavailable' | 'hang';
  left: number;
}

/**
 * A transport without a broker: it remembers what was published, and fails when it is told to. Like every transport it
 * keeps the order of each key, and holds back what follows a message that was not published.
 *
 * @example
 * const transport = new RecordingTransport();
 * transport.refuse({ key: '7', times: 2 });
 */
export class RecordingTransport extends Transport {
  readonly #published: Message[] = [];
  readonly #attempted: Message[] = [];
  #faults: Fault[] = [];
  #hanging: (() => void)[] = [];

  /** What was published, oldest first. */
  get published(): readonly Message[] {
    return [...this.#published];
  }

  /** What was tried, oldest first, failures included; messages that were held are not among it. */
  get attempted(): readonly Message[] {
    return [...this.#attempted];
  }

  /** From now on, refuses these messages. Each publication meets the first fault that fits it. */
  refuse(messages: RefusedMessages = {}): void {
    this.addFault('refuse', messages);
  }

  /** From now on, can't be reached for these messages. */
  beUnavailable(messages: FaultyMessages = {}): void {
    this.addFault('be unavailable', messages);
  }

  /**
   * From now on, does not answer for these messages, and `publish` does not settle: more than a transport may do, for
   * tests of what then happens. {@link recover} and {@link close} end it; what was hanging is then published.
   */
  hang(messages: FaultyMessages = {}): void {
    this.addFault('hang', messages);
  }

  /** Ends all faults, and lets go of what hangs. */
  recover(): void {
    this.#faults = [];
    for (const letGo of this.#hanging.splice(0)) letGo();
  }

  /** Forgets what was published and attempted. */
  clear(): void {
    this.#published.length = 0;
    this.#attempted.length = 0;
  }

  async publish(messages: readonly Message[], options?: PublishOptions): Promise<PublishResult[]> {
    const results = new Map<number, PublishResult>();
    const lanes = Map.groupBy(messages.entries(), ([, { key }]) => key);
    await Promise.all(
      [...lanes.values()].map(async (lane) => {
        for (const [index, message] of lane) {
          if (options?.mayStart() === false) return;
          const result = await this.publishOne(message);
          results.set(index, result);
          if (result.status !== 'published') return;
        }
      }),
    );
    return messages.map((_, index) => results.get(index) ?? { status: 'held' });
  }

  async close(): Promise<void> {
    this.recover();
  }

  private async publishOne(message: Message): Promise<PublishResult> {
    this.#attempted.push(message);
    const fault = this.nextFault(message);
    if (fault?.kind === 'refuse') {
      return {
        status: 'refused',
        error: new Error('Refused by the test'),
        permanent: fault.permanent ?? false,
      };
    }
    if (fault?.kind === 'be unavailable') {
      return { status: 'unavailable', error: new Error('Unavailable by the test') };
    }
    if (fault) await new Promise<void>((resolve) => this.#hanging.push(resolve));
    this.#published.push(message);
    return { status: 'published' };
  }

  private addFault(kind: Fault['kind'], messages: RefusedMessages): void {
    this.#faults.push({ ...messages, kind, left: messages.times ?? Infinity });
  }

  private nextFault({ key, name }: Message): Fault | undefined {
    const fault = this.#faults.find(
      (candidate) =>
        candidate.left > 0 && (candidate.key ?? key) === key && (candidate.name ?? name) === name,
    );
    if (fault) fault.left--;
    return fault;
  }
}
