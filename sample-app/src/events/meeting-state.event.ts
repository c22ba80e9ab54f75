import { ECSTEvent, IntegrationEvent } from '@cqrs-outbox/core';
import { IsIn, IsString } from 'class-validator';
import { MEETING_STATUSES, type MeetingStatus } from '../domain/meeting-status.js';
import { TOPIC } from './topic.js';

/** The state of a meeting after a change: whoever keeps the last one of each key has a copy of all meetings. */
@IntegrationEvent({ name: 'meetings.meeting-state', topic: TOPIC, key: (e: MeetingState) => e.meetingId })
export class MeetingState extends ECSTEvent {
  @IsString() meetingId!: string;
  @IsString() title!: string;
  @IsIn(MEETING_STATUSES) status!: MeetingStatus;
  @IsString({ each: true }) attendees!: string[];
}
