import { ClientKafka } from '@nestjs/microservices';
import { tap, type Observable } from 'rxjs';

/** Nest's Kafka client, which also notes when the broker has acknowledged a message. */
export class ObservedClientKafka extends ClientKafka {
  readonly #waiting = new Map<string, (acknowledgedAt: number) => void>();

  /** @returns when the message with this key was acknowledged, by `performance.now()` */
  acknowledgementOf(key: string): Promise<number> {
    return new Promise((resolve) => this.#waiting.set(key, resolve));
  }

  override emitBatch<TResult, TInput>(pattern: unknown, batch: { messages: TInput[] }): Observable<TResult> {
    const complete = (): void => this.acknowledge(batch.messages as { key?: unknown }[]);
    return super.emitBatch<TResult, TInput>(pattern, batch).pipe(tap({ complete }));
  }

  private acknowledge(messages: readonly { key?: unknown }[]): void {
    const now = performance.now();
    for (const { key } of messages) {
      const waiting = this.#waiting.get(String(key));
      this.#waiting.delete(String(key));
      waiting?.(now);
    }
  }
}
