"""What files must look like, and checking them row by row: no Airflow, no database, no AWS.

contract = load_contract("publisher")
header = check_header(contract, fields_of_first_line)          # HeaderError: the file is wrong as a whole
validate = compile_validator(contract, header.names)
values, problems = validate(fields)                            # values is None: the row is rejected
checked = validate.check_rows(rows)                            # the same of many rows, and fast
"""

from marketplace.contracts.header import Header, HeaderError, check_header, dataset_for_header
from marketplace.contracts.mistakes import ContractError
from marketplace.contracts.model import Column, Contract, Rule, load_contract, load_contracts
from marketplace.contracts.names import publisher_key, title_key
from marketplace.contracts.problem import Problem
from marketplace.contracts.validate import Checked, CheckedRows, Validator, compile_validator

__all__ = [
    "Checked",
    "CheckedRows",
    "Column",
    "Contract",
    "ContractError",
    "Header",
    "HeaderError",
    "Problem",
    "Rule",
    "Validator",
    "check_header",
    "compile_validator",
    "dataset_for_header",
    "load_contract",
    "load_contracts",
    "publisher_key",
    "title_key",
]
