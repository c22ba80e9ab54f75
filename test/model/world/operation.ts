import type { Message } from '@cqrs-outbox/core';
import type { RelayProcess } from './relay-process.ts';

/** What an operation asks. */
export type OperationKind = 'lease table' | 'outbox table' | 'broker' | 'environment';

/**
 * Something that a process has asked for. It takes effect in one step, and the process hears of it in the same step or,
 * when it is not able to, in a later one.
 */
export class Operation {
  /** Not before this time. */
  notBefore = 0;
  /** Comes after all that can happen at the same time. */
  isPostponed = false;
  #answer: Promise<unknown> | undefined;
  #settle: { resolve: (value: unknown) => void; reject: (error: unknown) => void } | undefined;

  constructor(
    readonly kind: OperationKind,
    readonly name: string,
    readonly sequence: number,
    /** Undefined: the environment's own. */
    readonly process: RelayProcess | undefined,
    private readonly effect: () => Promise<unknown>,
    /** What it sends. */
    readonly message?: Message,
  ) {}

  get hasTakenEffect(): boolean {
    return this.#answer !== undefined;
  }

  /** What the process waits for. */
  answered(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#settle = { resolve, reject };
    });
  }

  takeEffect(): void {
    this.#answer = this.effect();
    // Who waits for it hears of it at the delivery, if ever.
    this.#answer.catch(() => undefined);
  }

  /** Takes effect as something else: what a fault makes of it. */
  replaceBy(answer: Promise<unknown>): void {
    this.#answer = answer;
    this.#answer.catch(() => undefined);
  }

  deliver(): void {
    void this.#answer?.then(this.#settle?.resolve, this.#settle?.reject);
  }

  /** The process hears this now, and the effect is still to come. */
  deliverEarly(answer: Promise<unknown>): void {
    void answer.then(this.#settle?.resolve, this.#settle?.reject);
    this.#settle = undefined;
  }
}
