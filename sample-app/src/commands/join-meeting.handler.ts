import { CommandHandler, type RequestHandler } from '@cqrs-outbox/core';
import { Meetings } from '../domain/meetings.repository.js';
import { JoinMeeting } from './join-meeting.command.js';

@CommandHandler(JoinMeeting)
export class JoinMeetingHandler implements RequestHandler<JoinMeeting> {
  constructor(private readonly meetings: Meetings) {}

  async execute({ meetingId, userId }: JoinMeeting): Promise<void> {
    const meeting = await this.meetings.get(meetingId);
    meeting.join(userId);
  }
}
