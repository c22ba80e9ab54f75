import { randomUUID } from 'node:crypto';
import { RequestMediator } from '@cqrs-outbox/core';
import { Body, Controller, Get, HttpCode, HttpStatus, Param, Post, Put, UseFilters } from '@nestjs/common';
import {
  ApiBadRequestResponse,
  ApiConflictResponse,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiNotFoundResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import { CloseMeeting } from '../commands/close-meeting.command.js';
import { CreateMeeting } from '../commands/create-meeting.command.js';
import { JoinMeeting } from '../commands/join-meeting.command.js';
import { GetMeeting, type MeetingDetails } from '../queries/get-meeting.query.js';
import { ListNotifications, type MeetingNotice } from '../queries/list-notifications.query.js';
import { CreatedMeetingBody, CreateMeetingBody, MeetingBody, NotificationBody } from './bodies.js';
import { ErrorFilter } from './error.filter.js';

/** Turns HTTP into commands and queries, and nothing else. */
@ApiTags('meetings')
@ApiBadRequestResponse({ description: 'The request breaks a rule of its command or query' })
@UseFilters(ErrorFilter)
@Controller('meetings')
export class MeetingsController {
  constructor(private readonly requests: RequestMediator) {}

  @ApiOperation({ summary: 'Open a meeting' })
  @ApiCreatedResponse({ type: CreatedMeetingBody })
  @ApiConflictResponse({ description: 'The id is taken' })
  @Post()
  async create(@Body() body: CreateMeetingBody = new CreateMeetingBody()): Promise<{ meetingId: string }> {
    const { meetingId = randomUUID(), title } = body;
    await this.requests.send(CreateMeeting.of({ meetingId, title }));
    return { meetingId };
  }

  @ApiOperation({ summary: 'Join a meeting' })
  @ApiNoContentResponse()
  @ApiNotFoundResponse()
  @ApiConflictResponse({ description: 'The meeting is closed' })
  @HttpCode(HttpStatus.NO_CONTENT)
  @Put(':meetingId/:userId')
  async join(@Param('meetingId') meetingId: string, @Param('userId') userId: string): Promise<void> {
    await this.requests.send(JoinMeeting.of({ meetingId, userId }));
  }

  @ApiOperation({ summary: 'Close a meeting' })
  @ApiNoContentResponse()
  @ApiNotFoundResponse()
  @ApiConflictResponse({ description: 'The meeting is closed' })
  @HttpCode(HttpStatus.NO_CONTENT)
  @Post(':meetingId/close')
  async close(@Param('meetingId') meetingId: string): Promise<void> {
    await this.requests.send(CloseMeeting.of({ meetingId }));
  }

  @ApiOperation({ summary: 'Read a meeting, as the read model has it' })
  @ApiOkResponse({ type: MeetingBody })
  @ApiNotFoundResponse()
  @Get(':meetingId')
  get(@Param('meetingId') meetingId: string): Promise<MeetingDetails> {
    return this.requests.send(GetMeeting.of({ meetingId }));
  }

  @ApiOperation({ summary: 'List what the people in a meeting were told, oldest first' })
  @ApiOkResponse({ type: [NotificationBody] })
  @Get(':meetingId/notifications')
  notifications(@Param('meetingId') meetingId: string): Promise<MeetingNotice[]> {
    return this.requests.send(ListNotifications.of({ meetingId }));
  }
}
