import { setTimeout as sleep } from 'node:timers/promises';
import type { PlannedFault } from '../plan/fault.ts';
import type { Stage } from '../stage/stage.ts';

/** An orderly end or a crash, and back at once. */
export function restartBroker(stage: Stage, fault: PlannedFault): Promise<void> {
  const { signal = 'SIGTERM' } = fault;
  return stage.during(fault, ['broker'], () => stage.brokerServer.interrupt(signal, async () => undefined));
}

/** Away for longer than any retry of a client library lasts. */
export function brokerOutage(stage: Stage, fault: PlannedFault): Promise<void> {
  const { signal = 'SIGTERM' } = fault;
  return stage.during(fault, ['broker'], () =>
    stage.brokerServer.interrupt(signal, () => sleep(fault.forMs)),
  );
}

export function restartDatabase(stage: Stage, fault: PlannedFault): Promise<void> {
  const { signal = 'SIGTERM' } = fault;
  return stage.during(fault, ['database'], () =>
    stage.databaseServer.interrupt(signal, async () => undefined),
  );
}
