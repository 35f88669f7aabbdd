/** What a piece of work gives, with the wall-clock time that it took. */
export type Timed<T> = Readonly<{ value: T; seconds: number }>;

export async function timed<T>(work: () => Promise<T>): Promise<Timed<T>> {
  const start = performance.now();
  const value = await work();
  return { value, seconds: (performance.now() - start) / 1000 };
}
