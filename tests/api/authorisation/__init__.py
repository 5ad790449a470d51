"""Who may call what: one row for each operation, in a file for each area; an operation without a row fails the test.

To add a route, add its row to the file of its area: the method and path as the API's description has them, the least
role, and a body that passes validation where the operation takes one.
"""
