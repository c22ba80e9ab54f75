/** What a function without a promise of its own gives in place of an error that was thrown, whatever that is. */
export async function rejected(error: unknown): Promise<never> {
  throw error;
}
