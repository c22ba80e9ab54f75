import type { Logger } from '@nestjs/common';

/** The patterns of events. In a hybrid application every server gets those of requests too. */
export function eventTopics(
  messageHandlers: ReadonlyMap<string | RegExp, { isEventHandler?: boolean }>,
  logger: Pick<Logger, 'warn'>,
): (string | RegExp)[] {
  const handlers = [...messageHandlers];
  const topics = handlers.filter(([, { isEventHandler }]) => isEventHandler).map(([pattern]) => pattern);
  const others = handlers.length - topics.length;
  if (others > 0) logger.warn(`${others} @MessagePattern(s) are left out: events alone are consumed`);
  if (topics.length === 0) logger.warn('There is nothing to consume: no controller has an @EventPattern');
  return topics;
}
