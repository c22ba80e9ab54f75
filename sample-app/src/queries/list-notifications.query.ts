import { Query } from '@cqrs-outbox/core';
import { IsMeetingId } from '../commands/rules.js';

export interface MeetingNotice {
  text: string;
  occurredAt: Date;
}

/** Oldest first. */
export class ListNotifications extends Query<MeetingNotice[]> {
  @IsMeetingId() meetingId!: string;
}
