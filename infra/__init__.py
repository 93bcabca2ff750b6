"""CloudFormation templates, what differs by environment, and the tool that deploys them."""
