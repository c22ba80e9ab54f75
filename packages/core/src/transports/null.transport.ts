import { Logger } from '@nestjs/common';
import type { Message } from '../messages/message.js';
import { PUBLISHED, Transport, type PublishResult } from './transport.js';

/** Takes every message and drops it, with one warning. For an application that must run without a broker. */
export class NullTransport extends Transport {
  readonly #logger = new Logger(NullTransport.name);
  #hasWarned = false;

  async publish(messages: readonly Message[]): Promise<PublishResult[]> {
    if (!this.#hasWarned) this.#logger.warn('Messages are dropped: this destination is a NullTransport.');
    this.#hasWarned = true;
    return messages.map(() => PUBLISHED);
  }

  async close(): Promise<void> {}
}
