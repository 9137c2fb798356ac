/* oxlint-disable typescript/no-deprecated -- lift, source and operator are how RxJS 7 lets a subclass survive pipe */
/** Streams as RxJS observables, for consumers that are pushed to. */
import { Observable, type Observer, type Operator, type Subscription } from 'rxjs'

/**
 * An observable that a careless subscriber cannot turn into an uncaught exception: what a callback throws or rejects
 * with is reported, and the subscriber goes on. Piping keeps the guard. Combined with observables from elsewhere, the
 * rules of RxJS hold.
 */
class GuardedObservable<T> extends Observable<T> {
  readonly #reportError: (error: unknown) => void

  constructor(reportError: (error: unknown) => void, subscribe?: ConstructorParameters<typeof Observable<T>>[0]) {
    super(subscribe)
    this.#reportError = reportError
  }

  override lift<R>(operator?: Operator<T, R>): Observable<R> {
    const lifted = new GuardedObservable<R>(this.#reportError)
    lifted.source = this as unknown as Observable<R>
    lifted.operator = operator as unknown as Operator<unknown, R>
    return lifted
  }

  override subscribe(
    observerOrNext?: Partial<Observer<T>> | ((value: T) => void) | null,
    error?: ((error: unknown) => void) | null,
    complete?: (() => void) | null,
  ): Subscription {
    // Operators subscribe with subscribers of RxJS itself, whose errors travel down the chain.
    if (isSubscriber(observerOrNext)) return super.subscribe(observerOrNext)
    const observer: Partial<Observer<T>> =
      typeof observerOrNext === 'function'
        ? { next: observerOrNext, ...(error ? { error } : {}), ...(complete ? { complete } : {}) }
        : (observerOrNext ?? {})
    const guard = <Args extends readonly unknown[]>(
      callback: (...args: Args) => unknown,
    ): ((...args: Args) => void) => {
      return (...args) => {
        try {
          const returned = callback(...args)
          if (returned instanceof Promise) returned.catch(this.#reportError)
        } catch (thrown) {
          this.#reportError(thrown)
        }
      }
    }
    return super.subscribe({
      next: guard((value: T) => observer.next?.(value)),
      error: guard((reason: unknown) => (observer.error ? observer.error(reason) : this.#reportError(reason))),
      complete: guard(() => observer.complete?.()),
    })
  }
}

/** What a stream writes to. */
export interface Push<T> {
  next(item: T): void
  end(): void
  fail(error: unknown): void
}

/** An observable that opens a stream for each subscriber. */
export function toObservable<T>(
  open: (push: Push<T>) => () => void,
  reportError: (error: unknown) => void,
): Observable<T> {
  return new GuardedObservable<T>(reportError, (subscriber) =>
    open({
      next: (item) => subscriber.next(item),
      end: () => subscriber.complete(),
      fail: (error) => subscriber.error(error),
    }),
  )
}

function isSubscriber<T>(value: unknown): value is Partial<Observer<T>> {
  return typeof value === 'object' && value !== null && 'closed' in value && 'add' in value && 'isStopped' in value
}
