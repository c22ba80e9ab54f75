import type { ResolvedOptions } from '../cqrs-outbox.options.js';
import { mediaTypeOf } from './content-type.js';
import { JsonSerializer, type Serializer } from './serializer.js';

const JSON_SERIALIZER = new JsonSerializer();

/** The serializers that payloads are read with, by content type: what was written before a change of it is still read. */
export class Serializers {
  #byType: Map<string, Serializer> | undefined;

  constructor(
    private readonly options: ResolvedOptions,
    private readonly configured: Serializer,
  ) {}

  get contentTypes(): string[] {
    return [...this.byType().keys()];
  }

  /** @param contentType as received; a message without one holds JSON */
  get(contentType: string = JSON_SERIALIZER.contentType): Serializer | undefined {
    return this.byType().get(mediaTypeOf(contentType));
  }

  /** Made on first use: options that are none are reported at boot, after this class was constructed. */
  private byType(): Map<string, Serializer> {
    this.#byType ??= new Map(
      [JSON_SERIALIZER, ...this.options.consumer.serializers, this.configured].map((serializer) => [
        mediaTypeOf(serializer.contentType),
        serializer,
      ]),
    );
    return this.#byType;
  }
}

/** The width of the column. */
const MAX_CONTENT_TYPE_LENGTH = 100;

/** What is wrong with the serializers that a user gave. */
export function serializerFaults(configured: unknown, others: readonly unknown[]): string[] {
  const faults: string[] = [];
  const names = new Map<string, string>();
  const given = [
    ...(configured === undefined ? [] : [['serializer', configured] as const]),
    ...others.map((serializer, index) => [`consumer.serializers[${index}]`, serializer] as const),
  ];
  for (const [name, serializer] of given) {
    const { contentType, serialize, deserialize } = (serializer ?? {}) as Partial<Serializer>;
    if (typeof serialize !== 'function' || typeof deserialize !== 'function' || !isContentType(contentType)) {
      faults.push(`${name} must be a Serializer, with a content type such as application/protobuf`);
      continue;
    }
    const type = mediaTypeOf(contentType);
    const twin = names.get(type);
    if (twin !== undefined) faults.push(`${name} has the content type ${type} of ${twin}`);
    names.set(type, name);
  }
  return faults;
}

function isContentType(value: unknown): value is string {
  return (
    typeof value === 'string' && value.length <= MAX_CONTENT_TYPE_LENGTH && /^[^\s/]+\/[^\s/]+/.test(value)
  );
}
