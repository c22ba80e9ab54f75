import type { Message } from '../messages/message.js';

/** The payloads of one request, and what is added for key and headers of each. Kafka's default limit is 1 MiB. */
const REQUEST_BYTES = 900 * 1024;
const OVERHEAD_BYTES = 512;

/** Cuts what goes to one topic into requests that a broker takes with its default `message.max.bytes`. */
export function* requestsOf(messages: readonly Message[]): Generator<Message[]> {
  let request: Message[] = [];
  let bytes = 0;
  for (const message of messages) {
    const size = (message.payload?.length ?? 0) + OVERHEAD_BYTES;
    if (request.length > 0 && bytes + size > REQUEST_BYTES) {
      yield request;
      request = [];
      bytes = 0;
    }
    request.push(message);
    bytes += size;
  }
  if (request.length > 0) yield request;
}

/**
 * Cuts a batch where a key goes on to another topic: topics are produced to at the same time, and a key keeps its order
 * across them. As a rule a batch is one run.
 */
export function runsOf(messages: readonly Message[]): Message[][] {
  const runs: Message[][] = [];
  let run: Message[] = [];
  let topicOf = new Map<string, string>();
  for (const message of messages) {
    const topic = topicOf.get(message.key);
    if (run.length === 0 || (topic !== undefined && topic !== message.topic)) {
      run = [];
      runs.push(run);
      topicOf = new Map();
    }
    topicOf.set(message.key, message.topic);
    run.push(message);
  }
  return runs;
}
