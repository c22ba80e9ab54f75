import type { StandardSchemaV1 } from '@standard-schema/spec';
import { EventValidationError, messageOf, type PropertyViolation } from '../cqrs-outbox.error.js';

/** A hostile list breaks a rule with each of its items; a person needs no more than the first. */
const MAX_VIOLATIONS = 20;

/** Whether a value has the interface of https://standardschema.dev, version 1. */
export function isStandardSchema(value: unknown): value is StandardSchemaV1 {
  // ArkType's are functions.
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
  const standard = (value as Partial<StandardSchemaV1>)['~standard'];
  return standard?.version === 1 && typeof standard.validate === 'function';
}

/**
 * Applies the schema of an event to its payload in wire form. @returns the schema's output, with its coercions and transforms
 * @throws {@link EventValidationError} with the schema's issues; also for a schema that throws, is asynchronous, or has an
 *   output that is no object
 */
export function applySchema(eventName: string, schema: StandardSchemaV1, payload: unknown): object {
  let result: StandardSchemaV1.Result<unknown> | Promise<StandardSchemaV1.Result<unknown>>;
  try {
    result = schema['~standard'].validate(payload);
  } catch (cause) {
    throw schemaFailure(eventName, `it failed: ${messageOf(cause)}`);
  }
  if ('then' in result) {
    // Nobody waits for it: its failure would end the process.
    result.catch(() => undefined);
    throw schemaFailure(
      eventName,
      'it answers with a promise, and nothing waits for one: leave out its asynchronous rules',
    );
  }
  if (result.issues)
    throw new EventValidationError(eventName, result.issues.slice(0, MAX_VIOLATIONS).map(violationOf));
  const { value } = result;
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw schemaFailure(eventName, 'its output is no object');
  return value;
}

function schemaFailure(eventName: string, text: string): EventValidationError {
  return new EventValidationError(eventName, [{ property: '', rules: { schema: text } }]);
}

function violationOf({ message, path = [] }: StandardSchemaV1.Issue): PropertyViolation {
  let property = '';
  for (const segment of path) {
    const key = typeof segment === 'object' ? segment.key : segment;
    if (typeof key === 'number') property += `[${key}]`;
    else property += property === '' ? String(key) : `.${String(key)}`;
  }
  return { property, rules: { schema: message } };
}
