import { describe, expect, it } from '@jest/globals';
import { clientOptionsOf, resolveOptions } from './platformatic-kafka.options.js';
import { PlatformaticKafkaTransport } from './platformatic-kafka.transport.js';

const bootstrapBrokers = ['kafka-1:9092'];

describe('the options of PlatformaticKafkaTransport', () => {
  it('that can not work are all told at once', () => {
    const create = () => new PlatformaticKafkaTransport({ bootstrapBrokers: [], publishTimeoutMs: 0.5 });
    expect(create).toThrow(
      /bootstrapBrokers must name at least one broker; publishTimeoutMs must be a whole number .*, not 0.5/,
    );
  });

  it('have a broker, and then the replicas, give up before the request does', () => {
    const { requestTimeout, timeout, connectTimeout } = clientOptionsOf(
      resolveOptions({ bootstrapBrokers, publishTimeoutMs: 3_000 }),
    );
    expect({ requestTimeout, timeout, connectTimeout }).toEqual({
      requestTimeout: 1_000,
      timeout: 900,
      connectTimeout: 1_000,
    });
  });

  it('have no client send messages again', () => {
    const options = clientOptionsOf(resolveOptions({ bootstrapBrokers }));
    expect(options).toMatchObject({ retries: 0, repeatOnStaleMetadata: false });
  });
});
