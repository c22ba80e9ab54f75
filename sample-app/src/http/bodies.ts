import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { MEETING_STATUSES, type MeetingStatus } from '../domain/meeting-status.js';
import type { MeetingDetails } from '../queries/get-meeting.query.js';
import type { MeetingNotice } from '../queries/list-notifications.query.js';

// For the OpenAPI page. What a request must obey stands on its command or query.

export class CreateMeetingBody {
  @ApiPropertyOptional({ example: 'standup', description: 'Left out, the service draws one' })
  meetingId?: string;

  @ApiProperty({ example: 'Daily stand-up' })
  title!: string;
}

export class CreatedMeetingBody {
  @ApiProperty({ example: 'standup' })
  meetingId!: string;
}

export class MeetingBody implements MeetingDetails {
  @ApiProperty({ example: 'standup' })
  meetingId!: string;

  @ApiProperty({ example: 'Daily stand-up' })
  title!: string;

  @ApiProperty({ enum: MEETING_STATUSES })
  status!: MeetingStatus;

  @ApiProperty({ type: [String], example: ['alice'] })
  attendees!: string[];

  @ApiProperty({ description: 'When the last change was made' })
  updatedAt!: Date;
}

export class NotificationBody implements MeetingNotice {
  @ApiProperty({ example: 'alice has joined' })
  text!: string;

  @ApiProperty()
  occurredAt!: Date;
}
