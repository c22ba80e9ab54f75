import { commitHintsContract } from '@cqrs-outbox/testing';
import * as jest from '@jest/globals';
import { describeWith } from '../services/describe-with.ts';
import { busHarness, notifyHarness, redisHarness } from './commit-hints.harness.ts';
import { describeWhenUp, OPTIONAL_SERVERS } from './nest-transports.ts';

jest.describe('the HintBus of tests', () => commitHintsContract(busHarness(), jest));

describeWith(['postgres'], 'LISTEN/NOTIFY', () => commitHintsContract(notifyHarness(), jest));

describeWhenUp('redis', OPTIONAL_SERVERS['redis']!, () => commitHintsContract(redisHarness(), jest));
