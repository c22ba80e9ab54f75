import { Controller, type Type } from '@nestjs/common';
import 'reflect-metadata';
import { EventPattern } from '@nestjs/microservices';
import { PARAM_ARGS_METADATA } from '@nestjs/microservices/constants.js';
import { EventConsumer } from './event-consumer.js';

/**
 * The controller of `consume`, a class of its own for each call. It listens on every microservice of the application, as
 * an `@EventPattern` without a transport does.
 */
export function eventsController(topics: readonly string[]): Type {
  @Controller()
  class EventsController {
    constructor(private readonly consumer: EventConsumer) {}

    @EventPattern([...topics])
    on(payload: unknown, context: unknown): Promise<void> {
      return this.consumer.consume(payload, context);
    }
  }
  // No parameters, as Nest knows them: it gives both as they come, and runs no global pipes for each message.
  Reflect.defineMetadata(PARAM_ARGS_METADATA, {}, EventsController, 'on');
  return EventsController;
}

/** @returns what is wrong with the topics that a user has given; JavaScript callers can give anything */
export function consumeFaults(topics: unknown): string[] {
  if (!Array.isArray(topics) || topics.length === 0)
    return ["consume: give a list of topics, such as ['meetings'], or leave it out"];
  const given: unknown[] = topics;
  const wrong = given.filter((topic) => typeof topic !== 'string' || topic === '' || /\s/.test(topic));
  const repeated = new Set(given.filter((topic, index) => given.indexOf(topic) !== index));
  return [
    ...wrong.map((topic) => `consume: ${JSON.stringify(topic)} is no topic: give names without white space`),
    ...[...repeated].map((topic) => `consume: ${JSON.stringify(topic)} is there twice`),
  ];
}
