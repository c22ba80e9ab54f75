import { applySchema } from './event-schema.js';
import type { EventDeclaration } from './integration-event.decorator.js';
import { toInstance, toInstanceOfOutput } from './plain-event.js';

/**
 * Makes an event of the plain structure that its serializer has read: by the schema of the event if it has one, else by
 * class-transformer and the codecs of `@Encoded`. Rules of class-validator are not checked.
 *
 * @throws {@link EventValidationError} with the schema's issues
 * @throws what class-transformer or a codec throws
 */
export function rebuildEvent({ eventClass, name, schema }: EventDeclaration, plain: object): object {
  return schema
    ? toInstanceOfOutput(eventClass, applySchema(name, schema, plain))
    : toInstance(eventClass, plain);
}
