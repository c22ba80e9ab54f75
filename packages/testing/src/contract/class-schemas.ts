import 'reflect-metadata';
import { codecsOf, type EventClass, type JsonSchema } from '@cqrs-outbox/core';
import type { TypeMetadata } from 'class-transformer';
import type { MetadataStorage } from 'class-transformer/types/MetadataStorage.js';
import { getMetadataStorage } from 'class-validator';
import type * as JsonSchemaLibrary from 'class-validator-jsonschema';
import type { ValidationMetadata } from 'class-validator/types/metadata/ValidationMetadata.js';

/** Not exported by class-transformer's index, and without types of its own: it is the only place that knows of `@Type`. */
const TYPES_MODULE: string = 'class-transformer/cjs/storage.js';

/** What class-validator-jsonschema makes of a class. */
interface ObjectSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly [keyword: string]: unknown;
}

/** JSON Schemas of classes, by their rules of class-validator and their codecs. */
export class ClassSchemas {
  private constructor(
    private readonly library: typeof JsonSchemaLibrary | undefined,
    private readonly types: MetadataStorage,
  ) {}

  /** class-validator-jsonschema is an optional peer: it is missed when a class with rules is asked for. */
  static async load(): Promise<ClassSchemas> {
    const storage = (await import(TYPES_MODULE)) as { default: { defaultMetadataStorage: MetadataStorage } };
    return new ClassSchemas(await loadLibrary(), storage.default.defaultMetadataStorage);
  }

  /** The schema of a class; those of classes nested in it are in `$defs`, by their names. */
  schemaOf(root: EventClass): JsonSchema {
    const definitions = new Definitions();
    const schema = this.objectSchemaOf(root, definitions);
    const nested: Record<string, JsonSchema> = {};
    // Classes are found while others are described.
    for (const [nestedClass, name] of definitions.names)
      nested[name] = this.objectSchemaOf(nestedClass, definitions);
    return definitions.names.size === 0 ? schema : { ...schema, $defs: nested };
  }

  private objectSchemaOf(target: EventClass, definitions: Definitions): JsonSchema {
    const byRules = this.schemaByRules(target, definitions);
    const properties: Record<string, JsonSchema> = { ...byRules.properties };
    const required = new Set(byRules.required);
    for (const [property, codec] of codecsOf(target)) {
      if (!Object.hasOwn(properties, property)) required.add(property);
      properties[property] = codec.jsonSchema((nested) => definitions.refer(nested));
    }
    const { required: _, ...rest } = byRules;
    const list = required.size === 0 ? {} : { required: [...required].sort() };
    return { ...rest, type: 'object', properties, ...list };
  }

  private schemaByRules(target: EventClass, definitions: Definitions): ObjectSchema {
    const rules = getMetadataStorage().getTargetValidationMetadatas(target, '', false, false);
    if (rules.length === 0) return {};
    if (!this.library) throw new Error(MISSING);
    const { targetConstructorToSchema } = this.library;
    return targetConstructorToSchema(target, {
      classTransformerMetadataStorage: this.types,
      additionalConverters: {
        nestedValidation: (rule) => ({ ...this.nestedSchema(rule, definitions) }),
        // A date travels as class-transformer and JSON write it.
        isDate: { type: 'string', format: 'date-time' },
      },
    }) as ObjectSchema;
  }

  private nestedSchema({ target, propertyName }: ValidationMetadata, definitions: Definitions): JsonSchema {
    const type = this.types.findTypeMetadata(target as EventClass, propertyName) as TypeMetadata | undefined;
    const subTypes = type?.options.discriminator?.subTypes;
    if (subTypes) return { anyOf: subTypes.map(({ value }) => definitions.refer(value as EventClass)) };
    const nested: unknown =
      type?.typeFunction() ??
      Reflect.getMetadata('design:type', (target as EventClass).prototype as object, propertyName);
    const isClass = typeof nested === 'function' && nested !== Array && nested !== Object;
    return isClass ? definitions.refer(nested as EventClass) : { type: 'object' };
  }
}

/** The classes that a schema refers to, each under a name of its own. */
class Definitions {
  readonly names = new Map<EventClass, string>();

  refer(nested: EventClass): JsonSchema {
    return { $ref: `#/$defs/${this.nameOf(nested)}` };
  }

  private nameOf(nested: EventClass): string {
    const known = this.names.get(nested);
    if (known !== undefined) return known;
    const taken = [...this.names.keys()].filter(({ name }) => name === nested.name).length;
    const name = taken === 0 ? nested.name : `${nested.name}${taken + 1}`;
    this.names.set(nested, name);
    return name;
  }
}

const MISSING =
  'the rules of its class are read by class-validator-jsonschema, which is not installed: ' +
  'npm install --save-dev class-validator-jsonschema';

async function loadLibrary(): Promise<typeof JsonSchemaLibrary | undefined> {
  try {
    return await import('class-validator-jsonschema');
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}
