import { DomainEvent } from '@cqrs-outbox/core';

/** Stays in the process: its handlers run in the transaction that closes the meeting, or after it. */
export class MeetingClosed extends DomainEvent {
  meetingId!: string;
  title!: string;
  attendees!: string[];
}
