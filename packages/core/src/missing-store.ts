import { Module } from '@nestjs/common';
import { InboxStore } from './consumers/inbox-store.js';
import { ArchiveStore } from './operations/archive-store.js';
import { DeadLetterStore } from './operations/dead-letter-store.js';
import { StatusStore } from './operations/status-store.js';
import { OutboxStore } from './outbox/outbox-store.js';
import { LeaseStore } from './relay/leases/lease-store.js';
import type { TransactionHooks } from './unit-of-work/unit-of-work.js';
import { UnitOfWork } from './unit-of-work/unit-of-work.js';

/** The one method that is called before the boot check. */
const setHooks = (_hooks: TransactionHooks): void => undefined;

const PORTS = [UnitOfWork, OutboxStore, LeaseStore, InboxStore, DeadLetterStore, ArchiveStore, StatusStore];

/**
 * Takes the place of a store that was not configured, so that the module can be built and its boot check can name this
 * fault together with all others. It is never used: that check stops the boot.
 */
@Module({
  providers: PORTS.map((port) => ({ provide: port, useValue: { setHooks } })),
  exports: PORTS,
})
export class MissingStore {}
