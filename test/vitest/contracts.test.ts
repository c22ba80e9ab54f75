// The contract suites with another runner than Jest.
import {
  archiveStoreContract,
  deadLetterStoreContract,
  inboxStoreContract,
  leaseStoreContract,
  outboxStoreContract,
  statusStoreContract,
  unitOfWorkContract,
} from '@cqrs-outbox/testing';
import { afterAll, beforeAll, beforeEach, describe, it } from 'vitest';
import { inMemoryHarness } from '../contracts/in-memory.harness.ts';

describe('InMemoryStore', () => {
  const runner = { describe, it, beforeAll, beforeEach, afterAll };
  unitOfWorkContract(inMemoryHarness, runner);
  outboxStoreContract(inMemoryHarness, runner);
  leaseStoreContract(inMemoryHarness, runner);
  deadLetterStoreContract(inMemoryHarness, runner);
  archiveStoreContract(inMemoryHarness, runner);
  statusStoreContract(inMemoryHarness, runner);
  inboxStoreContract(inMemoryHarness, runner);
});
