"""What a person looks at: the only package that knows Textual.

Data flows one way: Engine.pump -> Store -> Panel.frame -> rows -> terminal. Keys flow back as
`replace(view, ...)`. Panels are pure in (store, view, size); `app` is the one place that ticks.
"""
