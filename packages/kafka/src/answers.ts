import type { KafkaAnswer, KafkaFault, Message } from '@cqrs-outbox/core';
import { MultipleErrors, ProtocolError, ResponseError, type ProduceResult } from '@platformatic/kafka';
import { faultOf } from './faults.js';

/** What the client throws when it has asked brokers: their errors, and what others have taken. */
type SendError = MultipleErrors & { readonly produced: ProduceResult };

/** A broker's answer to a produce request that it has not taken all of, in what all versions of the protocol have in common. */
type Answer = ResponseError & {
  readonly response: {
    readonly responses: readonly {
      readonly partitionResponses: readonly {
        readonly index: number;
        readonly errorCode: number;
        /** Not in old versions. */
        readonly errorMessage?: string | null;
      }[];
    }[];
  };
};

/** The fault of a partition; undefined: it was taken. */
type Outcome = readonly [partition: number, fault: KafkaFault | undefined];

/**
 * Takes apart why a request to one topic has failed. The request goes to several brokers, and each answers for each of its
 * partitions, while the client makes one error of it all.
 *
 * @param partitions the messages of the request, by partition
 */
export function answersOf(
  error: unknown,
  partitions: ReadonlyMap<number, readonly Message[]>,
): KafkaAnswer[] {
  const brokers: readonly unknown[] = isSendError(error) ? error.errors : [error];
  const taken = isSendError(error) ? (error.produced.offsets ?? []) : [];
  const outcomes = new Map<number, KafkaFault | undefined>([
    ...taken.map(({ partition }): Outcome => [partition, undefined]),
    ...brokers.filter(isAnswer).flatMap(outcomesOf),
  ]);
  // Partitions without an outcome are those of brokers that have not answered.
  const unanswered = faultOf(brokers.find((each) => !isAnswer(each)) ?? error);
  return [...partitions].map(([partition, messages]) => {
    const fault = outcomes.has(partition) ? outcomes.get(partition) : unanswered;
    return fault ? { messages, fault } : { messages };
  });
}

function isSendError(error: unknown): error is SendError {
  return error instanceof MultipleErrors && 'produced' in error;
}

function isAnswer(error: unknown): error is Answer {
  if (!(error instanceof ResponseError)) return false;
  const { response } = error as Partial<Answer>;
  return response?.responses !== undefined;
}

function outcomesOf({ response }: Answer): Outcome[] {
  return response.responses.flatMap(({ partitionResponses }) =>
    partitionResponses.map(({ index, errorCode, errorMessage }): Outcome => [
      index,
      errorCode === 0 ? undefined : faultOf(new ProtocolError(errorCode, errorMessage)),
    ]),
  );
}
