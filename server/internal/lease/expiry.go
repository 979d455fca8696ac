package lease

import "container/heap"

// expiryHeap has entries in the order in which their leases end.
type expiryHeap struct{ entries []*entry }

func (h *expiryHeap) first() *entry {
	if len(h.entries) == 0 {
		return nil
	}
	return h.entries[0]
}

// put puts an entry in its place, whether it is in the heap or not.
func (h *expiryHeap) put(e *entry) {
	if e.heap == h {
		heap.Fix(h, e.index)
		return
	}
	heap.Push(h, e)
}

func (h *expiryHeap) remove(e *entry) { heap.Remove(h, e.index) }

// Len, Less, Swap, Push and Pop are for container/heap.
func (h *expiryHeap) Len() int { return len(h.entries) }

func (h *expiryHeap) Less(i, j int) bool {
	return h.entries[i].lease.ExpiresAt.Before(h.entries[j].lease.ExpiresAt)
}

func (h *expiryHeap) Swap(i, j int) {
	h.entries[i], h.entries[j] = h.entries[j], h.entries[i]
	h.entries[i].index, h.entries[j].index = i, j
}

func (h *expiryHeap) Push(x any) {
	e := x.(*entry)
	e.heap, e.index = h, len(h.entries)
	h.entries = append(h.entries, e)
}

func (h *expiryHeap) Pop() any {
	last := len(h.entries) - 1
	e := h.entries[last]
	h.entries[last] = nil
	h.entries = h.entries[:last]
	e.heap = nil
	return e
}
