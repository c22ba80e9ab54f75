import {
  type EventClass,
  type EventDeclaration,
  eventDeclarationOf,
  EventMap,
  type JsonSchema,
  oldestVersionOf,
} from '@cqrs-outbox/core';
import type { INestApplicationContext } from '@nestjs/common';
import { ClassSchemas } from './class-schemas.js';
import { standardSchemaOf, type SchemaConversion } from './standard-schemas.js';

/** What an event promises to whoever consumes it. */
export interface EventContract {
  /** Wire name. */
  readonly name: string;
  readonly version: number;
  /** The oldest version that the application still reads, by its upcasters. */
  readonly oldestVersion: number;
  readonly topic: string;
  /** JSON Schema (draft 2020-12) of the payload as it travels, classes nested in it under `$defs`. */
  readonly payload: JsonSchema;
}

/**
 * The contracts of events, by name: of all that an application knows (those with handlers, and those that `forRoot({
 * events })` names), or of the classes given.
 *
 * What it can see of a class is its schema, its rules of class-validator and its codecs: a property without any of them is
 * not in the contract, nor is what a serializer other than JSON makes of the payload.
 *
 * @param source an application that is initialised, or event classes
 * @throws Error for a class without `@IntegrationEvent`; when class-validator-jsonschema is not installed and a class has
 *   rules; for a schema that can't be converted. Each names the event.
 */
export async function eventContract(
  source: INestApplicationContext | readonly EventClass[],
  conversion: SchemaConversion = {},
): Promise<EventContract[]> {
  const declarations = isList(source)
    ? source.map(declarationOf)
    : source.get(EventMap, { strict: false }).declarations();
  const sorted = [...declarations].sort((a, b) => (a.name < b.name ? -1 : 1));
  const classes = await ClassSchemas.load();
  return sorted.map((declaration) => ({
    name: declaration.name,
    version: declaration.version,
    oldestVersion: oldestVersionOf(declaration),
    topic: declaration.topic,
    payload: payloadOf(declaration, classes, conversion),
  }));
}

/**
 * The contract as text for a file, the same for the same contract: JSON with sorted names and a newline at its end.
 *
 * @example
 * expect(contractText(await eventContract(app))).toBe(await readFile('contract.json', 'utf8'));
 */
export function contractText(contract: readonly EventContract[]): string {
  return `${JSON.stringify(contract, sorted, 2)}\n`;
}

function payloadOf(
  declaration: EventDeclaration,
  classes: ClassSchemas,
  conversion: SchemaConversion,
): JsonSchema {
  const { name, schema, eventClass } = declaration;
  try {
    return schema ? standardSchemaOf(schema, name, conversion) : classes.schemaOf(eventClass);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`The contract of ${name} can't be made: ${why}`, { cause });
  }
}

function declarationOf(eventClass: EventClass): EventDeclaration {
  const declaration = eventDeclarationOf(eventClass);
  if (!declaration) throw new Error(`${eventClass.name} has no @IntegrationEvent, and so no contract.`);
  return declaration;
}

function isList(source: INestApplicationContext | readonly EventClass[]): source is readonly EventClass[] {
  return Array.isArray(source);
}

/** A replacer of JSON that puts the names of objects in order. */
function sorted(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
