import { Controller, type Type } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { EventConsumer } from './event-consumer.js';

/** Makes a controller that hands the messages of these topics to the {@link EventConsumer}; a class of its own each time. */
export function controllerFor(topics: readonly string[]): Type<object> {
  @Controller()
  class ConsumedTopicsController {
    constructor(private readonly consumer: EventConsumer) {}

    /** To be returned: the message is acknowledged when the handlers have committed. */
    @EventPattern([...topics])
    on(@Payload() payload: unknown, @Ctx() context: unknown): Promise<void> {
      return this.consumer.consume(payload, context);
    }
  }
  return ConsumedTopicsController;
}
