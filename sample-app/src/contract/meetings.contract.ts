import { contractText, eventContract } from '@cqrs-outbox/testing';
import { readConfig } from '../config/config.js';
import { createMeetingsApp } from '../meetings.app.js';

/** What the events of this service promise, as the text of contract.json. */
export async function meetingsContract(): Promise<string> {
  const config = readConfig({ DATABASE_URL: 'file::memory:' });
  const app = await createMeetingsApp(config, { logger: false, outbox: { relay: false } });
  try {
    return contractText(await eventContract(app));
  } finally {
    await app.close();
  }
}
