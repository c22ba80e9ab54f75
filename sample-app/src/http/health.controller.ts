import { type DestinationHealth, OutboxRelay } from '@cqrs-outbox/core';
import { Controller, Get } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { type ListenerState, MessageListener } from '../messages/message-listener.js';

interface Health {
  status: 'ok' | 'degraded';
  /** Whether events leave. */
  relay: DestinationHealth[];
  /** Whether events arrive. */
  listener: ListenerState;
}

/**
 * Without the broker, commands still commit and their events wait in the outbox: `degraded`, with status 200, since
 * an instance that is taken out of service would help nobody.
 */
@ApiTags('health')
@Controller('health')
export class HealthController {
  constructor(
    private readonly relay: OutboxRelay,
    private readonly listener: MessageListener,
  ) {}

  @ApiOperation({ summary: 'Say whether events leave and arrive' })
  @Get()
  check(): Health {
    const relay = this.relay.health();
    const listener = this.listener.state;
    const isWell = listener === 'listening' && relay.every(({ state }) => state === 'up');
    return { status: isWell ? 'ok' : 'degraded', relay, listener };
  }
}
