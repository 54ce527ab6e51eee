"""What an expression cannot say: findings that need a memory, one small file an idea.

The contract. A detector is made from its settings and looked through once a pump. It follows the
series it reads point by point, however many come at once, so that an old log is judged as it
happened; `look` returns what became the case, and what is over, with the data's own time. It keeps
a bounded memory a series and changes nothing else.
"""
