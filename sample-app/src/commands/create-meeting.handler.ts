import { CommandHandler, type RequestHandler } from '@cqrs-outbox/core';
import { Meeting } from '../domain/meeting.entity.js';
import { Meetings } from '../domain/meetings.repository.js';
import { CreateMeeting } from './create-meeting.command.js';

@CommandHandler(CreateMeeting)
export class CreateMeetingHandler implements RequestHandler<CreateMeeting> {
  constructor(private readonly meetings: Meetings) {}

  async execute({ meetingId, title }: CreateMeeting): Promise<void> {
    await this.meetings.add(Meeting.open(meetingId, title));
  }
}
