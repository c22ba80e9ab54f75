import type { EventDeclaration, JsonSchema } from '@cqrs-outbox/core';

type Schema = NonNullable<EventDeclaration['schema']>;

/** How the schemas of https://standardschema.dev become JSON Schema. */
export interface SchemaConversion {
  /**
   * For a library without the interface of https://standardschema.dev/json-schema (Zod from 4.2 and ArkType have it), such
   * as `toJsonSchema` of `@valibot/to-json-schema`. It gets what travels, the schema's input; `undefined` leaves the schema
   * to that interface.
   */
  readonly convertSchema?: (schema: Schema, eventName: string) => JsonSchema | undefined;
  /** Handed to the schema's own conversion: for Zod `{ unrepresentable: 'any' }`, where the input is a date or a bigint. */
  readonly libraryOptions?: Readonly<Record<string, unknown>>;
}

/** The part of the interface that is used. */
interface JsonSchemaProps {
  readonly jsonSchema?: { input(options: object): Record<string, unknown> };
}

/** The JSON Schema of what travels: the input of an event's schema. @throws for a schema that can't say it */
export function standardSchemaOf(
  schema: Schema,
  eventName: string,
  { convertSchema, libraryOptions }: SchemaConversion,
): JsonSchema {
  const converted = convertSchema?.(schema, eventName);
  if (converted) return withoutDialect(converted);
  const { jsonSchema, vendor } = schema['~standard'] as Schema['~standard'] & JsonSchemaProps;
  if (!jsonSchema) {
    throw new Error(
      `its schema (${vendor}) does not say its JSON Schema: give eventContract a convertSchema for it`,
    );
  }
  return withoutDialect(jsonSchema.input({ target: 'draft-2020-12', libraryOptions }));
}

/** All of a contract has one dialect. */
function withoutDialect({ $schema: _, ...schema }: JsonSchema): JsonSchema {
  return schema;
}
