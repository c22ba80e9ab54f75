import { Query } from '@cqrs-outbox/core';
import { IsMeetingId } from '../commands/rules.js';
import type { MeetingStatus } from '../domain/meeting-status.js';

export interface MeetingDetails {
  meetingId: string;
  title: string;
  status: MeetingStatus;
  attendees: string[];
  updatedAt: Date;
}

export class GetMeeting extends Query<MeetingDetails> {
  @IsMeetingId() meetingId!: string;
}
