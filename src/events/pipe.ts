/** A stream with one writing end. The subject behind it stays private, so that no reader can end it for the others. */
import { Subject, type Observable } from 'rxjs'

export interface Pipe<Item> {
  readonly items$: Observable<Item>
  push(item: Item): void
}

export function createPipe<Item>(): Pipe<Item> {
  const subject = new Subject<Item>()
  return { items$: subject.asObservable(), push: (item) => subject.next(item) }
}
