"""The composition root: where kinds that come in two halves are tied together and the processes are started."""
