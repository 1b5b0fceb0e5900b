"""The first minute: what `zoo demo` shows. See `zoo.demo.seeing` and `zoo.demo.learning`."""
