import { setTimeout as delay } from 'node:timers/promises';
import {
  type BeforeApplicationShutdown,
  type INestApplication,
  type INestMicroservice,
  Injectable,
  Logger,
} from '@nestjs/common';
import type { CustomTransportStrategy } from '@nestjs/microservices';

export type ListenerState = 'connecting' | 'listening';

const RETRY_MS = 2_000;

/**
 * Connects the message controllers to the broker in the background, so that the application boots without it.
 *
 *   connecting --connected--> listening --broker lost--> connecting
 *
 * RabbitMQ's server in Nest waits for its broker and connects again by itself. Kafka's gives up without one, at its
 * start as later (`crashed`), and is started anew here.
 */
@Injectable()
export class MessageListener implements BeforeApplicationShutdown {
  readonly #logger = new Logger(MessageListener.name);
  readonly #shutdown = new AbortController();
  #hasStarted = false;
  #isConnected = false;

  get state(): ListenerState {
    return this.#hasStarted && this.#isConnected ? 'listening' : 'connecting';
  }

  start(app: INestApplication, server: CustomTransportStrategy): void {
    const microservice = app.connectMicroservice<object>({ strategy: server });
    microservice.status.subscribe((status) => {
      if (status === 'connected') this.#isConnected = true;
      if (status === 'disconnected' || status === 'crashed') this.#isConnected = false;
      if (status === 'crashed') void this.listen(microservice, server);
    });
    void this.listen(microservice, server);
  }

  beforeApplicationShutdown(): void {
    this.#shutdown.abort();
  }

  private async listen(microservice: INestMicroservice, server: CustomTransportStrategy): Promise<void> {
    const { signal } = this.#shutdown;
    this.#hasStarted = false;
    while (!signal.aborted) {
      try {
        await microservice.listen();
        this.#hasStarted = this.#isConnected = true;
        return;
      } catch (error) {
        this.#logger.warn(`Can't receive messages yet, trying again in ${RETRY_MS} ms: ${String(error)}`);
        await server.close();
        await delay(RETRY_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }
}
