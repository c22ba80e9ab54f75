import { describe, it } from '@jest/globals';
import { SERVICE_VARIABLES } from './service.ts';
import type { ServiceName } from './service.ts';

/**
 * A suite that needs real servers. Without one of them it is skipped under a name that says which, so that
 * the run's summary can give the reason; its body is then not run, so it may call {@link serviceUrl}.
 */
export function describeWith(services: readonly ServiceName[], name: string, body: () => void): void {
  const missing = missingServices(services);
  if (missing.length === 0) {
    describe(name, body);
    return;
  }
  describe.skip(skippedName(name, missing), () => {
    // Jest wants a test in every suite.
    it('needs its services', () => undefined);
  });
}

/** Where a service listens: a URL, or for Kafka a list of brokers. */
export function serviceUrl(service: ServiceName): string {
  const url = process.env[SERVICE_VARIABLES[service]];
  if (url) return url;
  throw new Error(
    `${service} is not available: ${SERVICE_VARIABLES[service]} is not set. ` +
      `Call serviceUrl inside describeWith(['${service}'], ...), and run the tests by npm test.`,
  );
}

export function missingServices(
  services: readonly ServiceName[],
  environment: NodeJS.ProcessEnv = process.env,
): ServiceName[] {
  return services.filter((service) => !environment[SERVICE_VARIABLES[service]]);
}

/** The summary finds a suite's missing services in the brackets. */
export function skippedName(name: string, missing: readonly ServiceName[]): string {
  return `${name} [needs ${missing.join(', ')}]`;
}
