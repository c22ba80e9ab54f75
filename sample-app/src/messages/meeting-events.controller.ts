import { EventConsumer } from '@cqrs-outbox/core';
import { Controller } from '@nestjs/common';
import { Ctx, EventPattern, Payload } from '@nestjs/microservices';
import { TOPIC } from '../events/topic.js';

/** Receives the messages, on every transport alike, and hands them to the `@EventHandler`s. */
@Controller()
export class MeetingEventsController {
  constructor(private readonly consumer: EventConsumer) {}

  /** To be returned: the message is acknowledged when the handlers have committed. */
  @EventPattern(TOPIC)
  on(@Payload() payload: unknown, @Ctx() context: unknown): Promise<void> {
    return this.consumer.consume(payload, context);
  }
}
